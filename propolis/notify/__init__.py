"""Messages to people outside TheHive: chat, webhooks and mail. Used by the service and by the responder Notify."""
