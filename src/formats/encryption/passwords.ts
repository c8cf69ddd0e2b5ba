/** What a user can do about an image that is locked. */
export const passwordHint = "Write the password into a file and add --password-file FILE";
