"""The public audit log: entries in a verb's own transaction, ordered by one sequencer."""
