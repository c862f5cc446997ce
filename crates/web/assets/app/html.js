// What every view is written with: Preact's elements in HTML's clothes.
import { h } from "preact";
import htm from "htm";

export const html = htm.bind(h);
