"""New zones for a cycle that has opened: what they change for whom, and the approval of a second administrator."""
