"""What travels over RPC."""


def register_all():
    """Import every module of objects, so that peers' objects are known."""
    __import__('computed.objects.bandwidth')
    __import__('computed.objects.freeze')
    __import__('computed.objects.grant')
    __import__('computed.objects.host')
    __import__('computed.objects.instance')
    __import__('computed.objects.resources')
