"""A host that is killed between any two of its side effects.

``python -m tests.crashes FOLDER PRIMARY SCENARIO`` lets a scenario run to its
end once, counting side effects: files written and removed, calls that write,
changes of guests. Then it runs it once for each of them, killed by SIGKILL
just before; lets a successor start on what was left; and prints, as JSON, how
each of these ended. The product knows nothing of it.
"""

from computed import concurrency

concurrency.choose()    # before anything of oslo is imported
