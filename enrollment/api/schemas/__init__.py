"""What the API takes and answers: one file for each resource."""
