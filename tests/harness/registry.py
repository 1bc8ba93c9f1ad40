"""A registry on this machine that tells what was downloaded from it."""

import json
import re
import urllib.request
from pathlib import Path
from typing import Self

import attrs

from tests.harness.images import Image
from tests.harness.layers import digest_of
from tests.harness.parts import Parts
from tests.harness.processes import Program, wait_until

BLOB = re.compile(r"/v2/[^?]+/blobs/(sha256:[0-9a-f]{64})")

CONFIG = """\
version: 0.1
log:
  level: info
  formatter: json
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {storage}
http:
  addr: 127.0.0.1:0
  secret: not-a-secret
"""


@attrs.define
class Registry:
    """The program `docker-registry` with a directory of its own, on a port that it chooses.

    Attributes:
        host: Where it listens, "127.0.0.1:<port>"; empty before `start`.
    """

    program: Program
    host: str = ""
    _marks: int = 0
    _counted_from: int = 0

    @classmethod
    def make(cls, parts: Parts, directory: Path) -> Self:
        """Write the configuration for a registry that keeps everything in `directory`."""
        directory.mkdir(parents=True)
        config = directory / "config.yml"
        config.write_text(CONFIG.format(storage=directory / "storage"))
        command = (str(parts.registry), "serve", str(config))
        log = directory / "registry.log"
        return cls(Program("docker-registry", command, log, {"PATH": ""}, directory))

    def start(self) -> Self:
        """Start it and wait until it listens."""
        self.program.start()
        self.program.wait_ready(self._find_port)
        return self

    def stop(self) -> None:
        """End it."""
        self.program.terminate()

    def reference(self, image: Image) -> str:
        """Tell the reference by which a client pulls the image from here."""
        return f"{self.host}/{image.name}"

    def push(self, image: Image) -> str:
        """Upload an image (OCI distribution specification, "Pushing").

        Returns:
            Its reference.

        Raises:
            urllib.error.URLError: The registry refused a part of it.
        """
        blobs = {each.digest: each.blob for each in image.layers}
        blobs[image.config_digest] = image.config
        for digest, blob in blobs.items():
            self._push_blob(image.repository, digest, blob)
        self._request(
            "PUT",
            f"/v2/{image.repository}/manifests/{image.tag}",
            image.manifest,
            image.media_types.manifest,
        )
        return self.reference(image)

    def downloaded(self) -> dict[str, int]:
        """Tell how many bytes of each blob were sent since the last `reset`, by digest.

        Blobs that nobody asked for are missing. A download that was cut off counts with what was
        sent of it.
        """
        counts: dict[str, int] = {}
        for request in self._requests()[self._counted_from :]:
            match = BLOB.match(str(request.get("http.request.uri", "")))
            if match and request.get("http.request.method") == "GET":
                written = request.get("http.response.written", 0)
                counts[match[1]] = counts.get(match[1], 0) + int(str(written))
        return counts

    def reset(self) -> None:
        """Count from now on."""
        self._counted_from = len(self._requests())

    def _find_port(self) -> bool:
        for line in self._lines():
            match = re.match(r"listening on (127\.0\.0\.1:\d+)", str(line.get("msg")))
            if match:
                self.host = match[1]
                return True
        return False

    def _push_blob(self, repository: str, digest: str, blob: bytes) -> None:
        if digest != digest_of(blob):
            raise ValueError(f"{digest} is not the digest of this blob")
        location = self._request("POST", f"/v2/{repository}/blobs/uploads/")
        separator = "&" if "?" in location else "?"
        path = location.removeprefix(f"http://{self.host}")
        self._request("PUT", f"{path}{separator}digest={digest}", blob, "application/octet-stream")

    def _request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "text/plain"
    ) -> str:
        """Send a request and return the Location header of the answer, empty without one."""
        request = urllib.request.Request(
            f"http://{self.host}{path}",
            data=body or None,
            method=method,
            headers={"Content-Type": content_type},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.headers.get("Location") or ""

    def _requests(self) -> list[dict[str, object]]:
        """Tell the log lines of all requests that have been answered.

        The registry writes the line of a request after the answer has been sent. So a request of
        our own is made, and its line waited for: those of earlier requests are written by then.
        """
        self._marks += 1
        mark = f"/v2/?mark={self._marks}"
        self._request("GET", mark)

        def look() -> list[dict[str, object]]:
            lines = self._lines()
            seen = any(line.get("http.request.uri") == mark for line in lines)
            return lines if seen else []

        lines = wait_until("the registry's log line of our request", look)
        return [line for line in lines if line.get("msg") == "response completed"]

    def _lines(self) -> list[dict[str, object]]:
        lines = []
        for text in self.program.log.read_text().splitlines():
            if text.startswith("{"):
                try:
                    lines.append(json.loads(text))
                except json.JSONDecodeError:  # the line is being written
                    continue
        return lines
