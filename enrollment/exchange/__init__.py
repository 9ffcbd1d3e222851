"""What goes out of the service to other systems and comes in from them."""
