# SPDX-License-Identifier: Apache-2.0
"""What a copy has in common with its original: weights, behaviour, looks, sound; and claims that follow.

A fingerprint proves nothing by itself: it opens a claim, and a committee judges it. It is registered with the
Work, so that the older of two registrations is the one that was there first.
"""
