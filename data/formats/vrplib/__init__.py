"""CVRPLIB, VRPLIB and TSPLIB files."""
