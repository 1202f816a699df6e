# SPDX-License-Identifier: Apache-2.0
"""What people look at when they judge: the words, the pictures and the buttons of the watch's pages."""
