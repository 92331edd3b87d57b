"""Rows in and out: tables, text, figures, locks."""
