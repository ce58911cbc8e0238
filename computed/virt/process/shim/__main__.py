"""Run the shim, with the argument ``trial`` its trials.

With the argument ``volume`` it changes the volumes of a guest that runs.

Python runs this file with ``-P`` and without ``site``, so it finds only the
standard library. The package is imported as ``shim``, which is faster than
the whole of ``computed``.
"""

import os
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

if sys.argv[1:] == ['trial']:
    from shim import trial
    trial.main()
elif sys.argv[1:] == ['volume']:
    from shim import volumes
    volumes.main()
else:
    from shim import main
    main.main()
