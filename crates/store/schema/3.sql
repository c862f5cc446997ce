-- Schema 3: calls are found among the messages. Once released it never changes.

CREATE INDEX messages_of_calls ON messages (row) WHERE kind = 0;
