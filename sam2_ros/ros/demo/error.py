"""The error that ends a demo."""


class DemoError(RuntimeError):
    """The reason why the demo failed, in one sentence."""
