-- Schema 2: transfers of files. Once released it never changes.

CREATE TABLE transfers (
    row INTEGER PRIMARY KEY, -- in the order in which they were offered
    author INTEGER NOT NULL,
    id BLOB NOT NULL, -- of the message that offers
    peer INTEGER NOT NULL,
    offer BLOB NOT NULL, -- as in the message, without the thumbnail
    at INTEGER NOT NULL,
    phase INTEGER NOT NULL, -- 0 offered, 1 accepted, 2 done, 3 declined, 4 cancelled by us, 5 by them, 16 to 19 failed
    paused INTEGER NOT NULL, -- 1 by us, 2 by them, 3 by both
    settled INTEGER NOT NULL,
    place BLOB, -- a path
    moved INTEGER NOT NULL,
    UNIQUE (author, id)
) STRICT;

CREATE INDEX transfers_open ON transfers (row) WHERE phase <= 1 OR settled = 0;
CREATE INDEX transfers_by_peer ON transfers (peer);
