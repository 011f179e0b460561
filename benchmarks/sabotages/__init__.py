"""Ways to break this library once each, and the tests that must notice."""
