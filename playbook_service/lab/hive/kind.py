"""The kinds of entities and what they are called in each dialect."""

from __future__ import annotations

V0_TYPES = {
    "Case": "case", "Alert": "alert", "Observable": "case_artifact", "Task": "case_task", "Log": "case_task_log",
    "Comment": "comment", "Attachment": "attachment", "Procedure": "procedure", "Job": "case_artifact_job",
    "Action": "action", "Page": "page", "CustomEvent": "customEvent", "Organisation": "organisation", "User": "user",
}  # fmt: skip
"""objectType of webhook version 0, and the words the connector uses for the kinds of entities."""

ENTITY_TYPES = {
    "case": "Case", "alert": "Alert", "case_artifact": "Observable", "case_task": "Task", "case_task_log": "Log",
}  # fmt: skip
"""entityType / objectType of the Cortex connector."""

SEVERITIES = {1: "LOW", 2: "MEDIUM", 3: "HIGH", 4: "CRITICAL"}
TLPS = {0: "CLEAR", 1: "GREEN", 2: "AMBER", 3: "AMBER+STRICT", 4: "RED"}
PAPS = {0: "CLEAR", 1: "GREEN", 2: "AMBER", 3: "RED"}

CASE_STAGES = {
    "New": "New", "InProgress": "InProgress", "Indeterminate": "Closed", "FalsePositive": "Closed",
    "TruePositive": "Closed", "Other": "Closed", "Duplicated": "Closed",
}  # fmt: skip
ALERT_STAGES = {
    "New": "New", "InProgress": "InProgress", "Pending": "InProgress", "Imported": "Imported", "Duplicate": "Closed",
    "FalsePositive": "Closed", "Ignored": "Closed",
}  # fmt: skip
IMPACTS = ("NotApplicable", "WithImpact", "NoImpact")
RESOLUTIONS = ("Indeterminate", "FalsePositive", "TruePositive", "Other", "Duplicated")
OBSERVABLE_TYPES = (
    "autonomous-system", "domain", "file", "filename", "fqdn", "hash", "hostname", "ip", "mail", "mail-subject",
    "other", "regexp", "registry", "uri_path", "url", "user-agent", "mail_subject", "user_agent",
)  # fmt: skip
