"""What analysts and their tools do over HTTP, each with their own TheHive key."""
