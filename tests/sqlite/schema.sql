CREATE INDEX ix_snapshots_companion ON snapshots (companion) WHERE companion IS NOT NULL;
CREATE INDEX ix_snapshots_local ON snapshots (local);
CREATE INDEX ix_snapshots_parent ON snapshots (parent_id, local);
CREATE INDEX ix_snapshots_source ON snapshots (source) WHERE source IS NOT NULL;
CREATE INDEX ix_snapshots_target ON snapshots (target, parent_id, local);
CREATE INDEX ix_snapshots_unmeasured ON snapshots (id) WHERE size IS NULL AND kind = 'committed';
CREATE UNIQUE INDEX uq_snapshots_remote ON snapshots (parent_id, target) WHERE local = 0 AND staged = 0;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE companions (
	number INTEGER NOT NULL, 
	fingerprint TEXT, 
	above INTEGER NOT NULL, 
	below INTEGER NOT NULL, 
	CONSTRAINT pk_companions PRIMARY KEY (number), 
	CONSTRAINT ck_companions_something CHECK (above OR below), 
	CONSTRAINT uq_companions_fingerprint UNIQUE (fingerprint)
);
CREATE TABLE identifiers (
	one INTEGER NOT NULL, 
	next INTEGER NOT NULL, 
	CONSTRAINT pk_identifiers PRIMARY KEY (one), 
	CONSTRAINT ck_identifiers_one CHECK (one = 1)
);
CREATE TABLE layers (
	source TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	names TEXT NOT NULL, 
	CONSTRAINT pk_layers PRIMARY KEY (source, digest)
);
CREATE TABLE snapshots (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	parent_id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	local INTEGER NOT NULL, 
	created_at INTEGER NOT NULL, 
	updated_at INTEGER NOT NULL, 
	labels TEXT NOT NULL, 
	target TEXT NOT NULL, 
	source TEXT, 
	digest TEXT, 
	size INTEGER, 
	inodes INTEGER, 
	companion INTEGER, 
	staged INTEGER NOT NULL, 
	CONSTRAINT pk_snapshots PRIMARY KEY (id), 
	CONSTRAINT ck_snapshots_kind CHECK (kind IN ('view', 'active', 'committed')), 
	CONSTRAINT ck_snapshots_local CHECK (local = (digest IS NULL)), 
	CONSTRAINT ck_snapshots_layer CHECK ((source IS NULL) = (digest IS NULL)), 
	CONSTRAINT ck_snapshots_usage CHECK ((size IS NULL) = (inodes IS NULL)), 
	CONSTRAINT ck_snapshots_remote CHECK (digest IS NULL OR kind = 'committed' OR (staged AND kind = 'active')), 
	CONSTRAINT ck_snapshots_staged CHECK (digest IS NOT NULL OR NOT staged), 
	CONSTRAINT ck_snapshots_companion CHECK (companion IS NULL OR digest IS NOT NULL), 
	CONSTRAINT uq_snapshots_name UNIQUE (name)
);
CREATE TABLE sources (
	name TEXT NOT NULL, 
	path TEXT NOT NULL, 
	CONSTRAINT pk_sources PRIMARY KEY (name)
);
CREATE TABLE strangers (
	id INTEGER NOT NULL, 
	CONSTRAINT pk_strangers PRIMARY KEY (id)
);
CREATE TABLE tombstones (
	id INTEGER NOT NULL, 
	CONSTRAINT pk_tombstones PRIMARY KEY (id)
);
CREATE TABLE wishes (
	digest TEXT NOT NULL, 
	image TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	count INTEGER NOT NULL, 
	first_seen_at INTEGER NOT NULL, 
	last_seen_at INTEGER NOT NULL, 
	CONSTRAINT pk_wishes PRIMARY KEY (digest, image, reason)
);
