"""Queue systems: a module for each reads how its queues and its own worker processes look now. See README.md there."""
