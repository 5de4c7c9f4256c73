"""Exports for other people's tools: what the store holds, as documents that Elasticsearch and OpenSearch take."""
