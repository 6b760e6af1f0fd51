"""The service: an API over HTTP and one page, on this machine alone unless keys are set (docs/serve.md)."""
