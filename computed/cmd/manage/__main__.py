import sys

from computed.cmd import manage

sys.exit(manage.main())
