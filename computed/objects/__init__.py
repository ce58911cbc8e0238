"""Versioned objects, which travel over RPC."""


def register_all() -> None:
    """Import every module of objects, so that RPC can read all of them."""
    __import__('computed.objects.bandwidth')
    __import__('computed.objects.console_token')
    __import__('computed.objects.event')
    __import__('computed.objects.freeze')
    __import__('computed.objects.grant')
    __import__('computed.objects.held')
    __import__('computed.objects.host')
    __import__('computed.objects.instance')
    __import__('computed.objects.payload')
    __import__('computed.objects.resources')
    __import__('computed.objects.usage_audit')
    __import__('computed.objects.volume')
    __import__('computed.objects.volume_usage')
