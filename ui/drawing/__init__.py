"""Figures and drawings as pure functions; no Streamlit here."""
