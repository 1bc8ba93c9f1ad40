"""Spans of what a call does, sent to an OpenTelemetry collector; imported only where configured.

All but ``settings`` needs the packages of the extra ``tracing``.
"""
