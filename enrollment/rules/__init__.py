"""The rules that schools set: said by level, settled, proposed, approved, and put into market form."""
