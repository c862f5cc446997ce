-- Schema 1. Once released it never changes: a later schema is a later file.

-- Peers (32 bytes) and groups (16 bytes) by a small number. A conversation has the number of its
-- peer or group, so in a talk between two a message is ours when author <> conversation.
CREATE TABLE ids (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE peers (
    n INTEGER PRIMARY KEY,
    name TEXT,
    relation INTEGER NOT NULL, -- 0 stranger, 1 contact
    blocked INTEGER NOT NULL,
    verified_at INTEGER,
    impostor BLOB,
    name_settled INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER,
    addresses TEXT NOT NULL, -- separated by spaces
    fast_aes INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    read_by_them INTEGER NOT NULL,
    read_by_us INTEGER NOT NULL,
    request_messages INTEGER NOT NULL
) STRICT;

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The last number given to a change. It outlives the messages, so no number is used twice.
CREATE TABLE counter (last_change INTEGER NOT NULL) STRICT;
INSERT INTO counter VALUES (0);

CREATE TABLE messages (
    row INTEGER PRIMARY KEY, -- the number of the change that added it
    id BLOB NOT NULL,
    conversation INTEGER NOT NULL,
    author INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind INTEGER NOT NULL, -- shown: 0 call, 1 text, 2 unknown; effects: 3 edit, 4 delete, 5 reaction
    text TEXT, -- of a text its current one, of an edit the new one, of a reaction the emoji
    target BLOB, -- what a text answers, what an effect is about
    extra INTEGER, -- of an unknown kind its number on the wire, of a reaction whether it is set,
                   -- of a call 16 times its milliseconds and its outcome
    raw BLOB, -- the body as it came, as far as this version does not know all of it
    edited INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    delivery INTEGER NOT NULL, -- 0 in the outbox, 1 delivered, 2 taken back before it was
    change INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX messages_by_id ON messages (id, author);
CREATE INDEX messages_shown ON messages (conversation) WHERE kind <= 2;
CREATE INDEX messages_by_seq ON messages (conversation, author, kind, seq);
CREATE INDEX messages_by_time ON messages (conversation, at) WHERE kind <= 2;
CREATE INDEX messages_by_change ON messages (change) WHERE kind <= 2;
CREATE INDEX outbox ON messages (conversation, seq) WHERE delivery = 0;
CREATE INDEX effects ON messages (target) WHERE kind >= 3;

CREATE TABLE reactions (
    message INTEGER NOT NULL,
    author INTEGER NOT NULL,
    emoji TEXT NOT NULL,
    UNIQUE (message, author, emoji)
) STRICT;

-- The terms are made by us and separated by spaces; `ascii` leaves everything beyond ASCII as it
-- is. Only which message holds a term is kept. Whether the words stand as asked for is looked up
-- in the message.
CREATE VIRTUAL TABLE search USING fts5 (
    terms, content = '', columnsize = 0, detail = none, tokenize = 'ascii'
);
-- A block fills a page of 4,096 bytes less 48 of cipher and 40 of row: a little more would take
-- two pages.
INSERT INTO search (search, rank) VALUES ('pgsz', 3950);
-- The terms of a deleted message are taken out at once and not at the next merge.
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
