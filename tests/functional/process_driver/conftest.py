from tests.support import process_guests

driver = process_guests.driver
echo = process_guests.echo
guests = process_guests.guests
make_driver = process_guests.make_driver
plain = process_guests.plain
planned = process_guests.planned
private = process_guests.private
root = process_guests.root
stranger = process_guests.stranger
