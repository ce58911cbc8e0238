"""What all errors of computed have in common."""

import typing


class ComputedError(Exception):
    """Something went wrong in computed."""

    def __init__(self, message: str | None = None,
                 **kwargs: typing.Any) -> None:
        """Make an error.

        :param message: the text, instead of the docstring of the class
        :param kwargs: the values that the docstring names in braces
        """
        self.kwargs = kwargs
        super().__init__(message or self._text())

    def _text(self) -> str:
        # Python -OO drops docstrings.
        text = self.__doc__ or type(self).__name__
        if not self.__doc__:
            return f'{text} {self.kwargs}'
        try:
            return text.format(**self.kwargs)
        except Exception:
            # A peer of another release may send other values.
            return f'{text} {self.kwargs}'


def rebuilt(error: ComputedError) -> ComputedError:
    """Make a plain error again from one that came over RPC.

    The messaging library returns an instance of a subclass, and its text
    contains the traceback of the peer. A user needs one line only.

    :raises TypeError: ``error`` is not an error of this package
    """
    for cls in type(error).__mro__:
        if cls.__module__ == __package__:
            made: ComputedError = cls()
            made.kwargs = error.kwargs
            made.args = (made._text(),)
            return made
    raise TypeError(f'{type(error).__name__} is not an error of computed')
