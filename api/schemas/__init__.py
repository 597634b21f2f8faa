"""What goes over the wire: requests read strictly, answers with null where a number is not finite."""
