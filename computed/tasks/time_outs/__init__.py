"""Tasks that end what takes too long: builds and soft reboots."""
