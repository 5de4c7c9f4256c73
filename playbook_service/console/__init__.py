"""What has no place on TheHive's desk: a page each, server-rendered, for viewers, operators and administrators."""
