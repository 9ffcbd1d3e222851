"""Live waitlists: a child's number on each, why it changed, and leaving one."""
