"""The health systems of docs/systems.md, each played through its example and measured at the clients: `make rows`."""
