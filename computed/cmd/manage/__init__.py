"""computed-manage: look at a deployment, and tell it what to do."""

from computed.cmd.manage import app

main = app.main
