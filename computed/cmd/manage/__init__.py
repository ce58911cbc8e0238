"""computed-manage: show and control a deployment."""

from computed.cmd.manage import app

main = app.main
