"""The sample: a page that adds background tasks, and services that run beside it.

models    the messages that tasks write, and the tasks with their progress
tasks     what a task does, and how it gets into a queue; the one that prunes
services  a timer, scoped work and the monitor loop
panels    what the page tells of the services
forms, views, urls, templatetags
"""
