"""Sources of knowledge that are not Turtle: a module for each, pure functions from its text to triples."""
