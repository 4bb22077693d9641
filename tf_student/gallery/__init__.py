"""A page in the browser that shows exported models."""
