"""What people said: queue, decisions, audits, dashboards."""
