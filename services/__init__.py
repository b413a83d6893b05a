"""The processes that Muster is made of; they never import each other."""
