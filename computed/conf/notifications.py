"""[notifications]: what is told to other systems, and how."""

from oslo_config import cfg

OFF, LOG, MESSAGING = 'off', 'log', 'messaging'

GROUP = cfg.OptGroup('notifications', title='Notifications', help="""
A notification tells other systems, such as billing, what was done. Nothing
waits for it: if it cannot be sent, the act is done all the same.
""")

OPTS = [
    cfg.StrOpt('driver', default=OFF, choices=[
        (OFF, 'send none'),
        (LOG, 'write them to the log, under '
              '``oslo.messaging.notification``'),
        (MESSAGING, 'send them to queues of RabbitMQ')],
               help="""
Where notifications go. ``messaging`` needs RabbitMQ: the broker of
``[DEFAULT] transport_url``, or that of ``[oslo_messaging_notifications]
transport_url`` if it is set. The other options of that group are not used.
"""),
    cfg.ListOpt('topics', default=['versioned_notifications'], help="""
The topics of the notifications. Each is a queue for each priority, such as
``versioned_notifications.info`` and ``versioned_notifications.error``. A queue
that nobody reads grows without a limit, so name only topics that are read.
"""),
    cfg.IntOpt('queue_size', min=1, max=100000, default=1000, help="""
How many notifications a process keeps while the broker is away or slow. Later
ones are dropped; ``computed_notifications_dropped_total`` counts them.
"""),
]
