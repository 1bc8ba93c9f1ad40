"""Tests of the doctor, a file for each subject."""
