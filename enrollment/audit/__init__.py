"""The audit log: entries written in the act's own transaction, put in order by one sequencer."""
