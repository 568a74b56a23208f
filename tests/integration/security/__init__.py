"""Attacks that were tried, one file for each boundary. A test's name says what a user may rely on.

Add a test here for each new attack, also for one that found nothing: the next reviewer sees what was tried.
"""
