#!/usr/bin/env node
/** The program, where services and scripts of every version look for it. */
import './cli/main.ts';
