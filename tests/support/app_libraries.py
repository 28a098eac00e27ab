"""What the app imports sooner or later: a process that forks servers of it imports this once, and computes nothing."""

import plotly.graph_objects
import plotly.subplots  # noqa: F401
import sklearn.linear_model  # noqa: F401
import streamlit.web.cli  # noqa: F401

import cpc_engine.execution.evaluate
import cpc_engine.execution.execute
import cpc_engine.execution.manager
import cpc_engine.maps
import cpc_engine.placing  # noqa: F401
import tests.support.installed

tests.support.installed.components()
