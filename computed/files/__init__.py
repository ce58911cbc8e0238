"""Files of our own: their names, whom they belong to, their writes.

A file is either whole or absent, even after a crash during a write. What is
read back is absent, good or damaged (:func:`read_json`); a damaged file is
never taken for an absent one. Links are not followed, and no other user can
put a file in the place of ours.
"""

from computed.files.content import NO_ROOM as NO_ROOM
from computed.files.content import Damaged as Damaged
from computed.files.content import clear_temporaries as clear_temporaries
from computed.files.content import explained as explained
from computed.files.content import read_json as read_json
from computed.files.content import remove as remove
from computed.files.content import set_aside as set_aside
from computed.files.content import understood as understood
from computed.files.content import write_json as write_json
from computed.files.descriptors import given_limit as given_limit
from computed.files.descriptors import raise_limit as raise_limit
from computed.files.names import below as below
from computed.files.names import by_uuid as by_uuid
from computed.files.names import is_uuid as is_uuid
from computed.files.reserve import Reserve as Reserve
from computed.files.steps import sync_folder as sync_folder
from computed.files.steps import use_hook as use_hook
from computed.files.trust import Untrusted as Untrusted
from computed.files.trust import ensure_private as ensure_private
from computed.files.trust import ensure_trusted as ensure_trusted
from computed.files.trust import is_of as is_of
from computed.files.trust import make_log as make_log
from computed.files.trust import make_private as make_private
from computed.files.trust import open_private as open_private
