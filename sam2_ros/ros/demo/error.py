"""The error that ends a demo."""


class DemoError(RuntimeError):
    """Why the demo failed, in one sentence."""
